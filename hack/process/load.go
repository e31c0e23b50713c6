package process

import (
	"fmt"

	"github.com/shirou/gopsutil/v4/load"
)

// LoadAverage tells what else the machine does, in words that follow a comma; "" where the system does not say.
func LoadAverage() string {
	average, err := load.Avg()
	if err != nil {
		return ""
	}
	return fmt.Sprintf(", at a load average of %.1f", average.Load1)
}
