package stack

import (
	"testing"

	"gotest.tools/v3/assert"
)

const measured = `oom 2
inotify 128 65536
mount /storage
Filesystem     1024-blocks     Used Available Capacity Mounted on
/dev/vda         263174212 16777216  79691776      18% /storage
inodes
Filesystem       Inodes  IUsed    IFree IUse% Mounted on
/dev/vda       16777216 524288 16252928    4% /storage
mount /data
Filesystem     1024-blocks Used Available Capacity Mounted on
tmpfs                65536    0     65536       0% /data
inodes
df: unknown option -- i
`

func TestMeasuresRead(t *testing.T) {
	var m Measures
	m.read(measured)
	assert.Equal(t, m.OOMKills, 2)
	assert.DeepEqual(t, m.Inotify, &Inotify{Instances: 128, Watches: 65536})
	assert.DeepEqual(t, m.Disks, []Disk{
		{Mount: "/storage", Device: "/dev/vda", Size: 263174212 << 10, Free: 79691776 << 10, InodesTotal: 16777216, InodesFree: 16252928},
		{Mount: "/data", Device: "tmpfs", Size: 65536 << 10, Free: 65536 << 10, InodesFree: -1},
	})
}

// What a container prints is not ours: nothing of it may panic, or give a size that is none.
func FuzzMeasures(f *testing.F) {
	f.Add(measured)
	f.Add("mount /x\ninodes\n/dev/x -1 9223372036854775807 18446744073709551616 1% /x\n")
	f.Add("oom x\ninotify\nmount\n\x00 1 2 3 4 5 6\n")
	f.Fuzz(func(t *testing.T, output string) {
		var m Measures
		m.read(output)
		for _, disk := range m.Disks {
			if disk.Size < 0 || disk.Free < 0 || disk.InodesTotal < 0 || disk.InodesFree < -1 {
				t.Fatalf("%+v", disk)
			}
		}
		complaintIn(output)
	})
}
