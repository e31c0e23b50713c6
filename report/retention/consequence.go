package retention

import (
	"fmt"
	"time"
)

// Consequence says what a change takes away of what is there now, and when. VictoriaMetrics looks each minute; OpenObserve looks each
// hour, and deletes the files two hours later: ZO_COMPACT_DATA_RETENTION_INTERVAL, ZO_COMPACT_DELETE_FILES_DELAY_MINUTES.
func (c Change) Consequence() string {
	const minute = "2006-01-02 15:04"
	text := fmt.Sprintf("%s: %s instead of %s", Label(c.Store, c.Name), daysText(c.Days), daysText(c.DaysBefore))
	if c.HiddenBefore != nil {
		text += "; samples before " + c.HiddenBefore.Format(minute) + " UTC are in no answer any more, at once"
	}
	switch {
	case c.DeletedBefore == nil && c.HiddenBefore != nil:
		return text + "; they are deleted with the rest of their month"
	case c.DeletedBefore == nil:
		return text + "; nothing is there yet that is old enough to go"
	case c.Store == Metrics:
		return text + fmt.Sprintf("; about %s, all before %s, are deleted within minutes", size(c.Freed), c.DeletedBefore.Format(time.DateOnly))
	default:
		return text + fmt.Sprintf("; about %s, all before %s, are deleted within three hours", size(c.Freed), c.DeletedBefore.Format(time.DateOnly))
	}
}
