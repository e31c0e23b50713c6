package stack

import (
	"regexp"
	"strconv"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/stack/bundle"
)

const dfHeader = "Filesystem     1024-blocks      Used Available Capacity Mounted on\n"

func TestParsePlace(t *testing.T) {
	place, err := parsePlace("2049\n" + dfHeader + "/dev/vda1        488281250 170000000 292968750      37% /storage\n40000\t/storage\n")
	assert.NilError(t, err)
	assert.DeepEqual(t, place, Place{Device: "2049", Total: 488281250 << 10, Free: 292968750 << 10, Used: 40000 << 10})
	for _, said := range []string{
		"", "sh: stat: not found\n", "2049\n" + dfHeader, "2049\n" + dfHeader + "/dev/vda1 x y z 1% /\n1\t/\n", "2049\n" + dfHeader + "/dev/vda1 1 1 -1 1% /\n1\t/\n",
		"2049\n" + dfHeader + "/dev/vda1 1 1 1 1% /\n", "2049\n" + dfHeader + "/dev/vda1 9999999999999999999 1 1 1% /\n1\t/\n",
	} {
		_, err := parsePlace(said)
		assert.ErrorContains(t, err, "it says", "%q", said)
	}
}

// FuzzParsePlace: whatever a container prints, there is an error or figures that are none below zero.
func FuzzParsePlace(f *testing.F) {
	f.Add("2049\n" + dfHeader + "/dev/vda1 488281250 170000000 292968750 37% /storage\n40000\t/storage\n")
	f.Add("\n\n\n\n")
	f.Add("1\n2\n3 4 5 6\n7\n")
	f.Fuzz(func(t *testing.T, said string) {
		place, err := parsePlace(said)
		if err == nil && (place.Total < 0 || place.Free < 0 || place.Used < 0) {
			t.Errorf("%q: %+v", said, place)
		}
	})
}

// What a budget counts for the agent's buffer is what its configuration says.
func TestBuffers(t *testing.T) {
	project, err := Load(t.Context(), bundle.FS(), Settings{Name: "t", Bind: "127.0.0.1", Port: 8082, DockerSocket: "/s", Secrets: everySecret(t)})
	assert.NilError(t, err)
	sum := int64(0)
	for _, config := range project.Configs {
		for _, match := range regexp.MustCompile(`(?m)type: disk\n\s+max_size: (\d+)$`).FindAllStringSubmatch(config.Content, -1) {
			size, err := strconv.ParseInt(match[1], 10, 64)
			assert.NilError(t, err)
			sum += size
		}
	}
	assert.Assert(t, sum > 0)
	assert.Equal(t, Buffers(project), sum)
	odd := &types.Project{Services: types.Services{"a": {Extensions: types.Extensions{"x-disk": "much"}}, "b": {Extensions: types.Extensions{"x-disk": -5}}}}
	assert.Equal(t, Buffers(odd), int64(0))
}

// A project says from when on its stores take no more: by default, and as it is set.
func TestGuardOf(t *testing.T) {
	load := func(guard Guard) Guard {
		project, err := Load(t.Context(), bundle.FS(), Settings{
			Name: "t", Bind: "127.0.0.1", Port: 8082, DockerSocket: "/s", Secrets: everySecret(t), Guard: guard, Keep: Keep{Metrics: "9d", LogsDays: 4},
		})
		assert.NilError(t, err)
		assert.DeepEqual(t, Retention(project), map[string]string{"metrics": "9d", "logs": "4d"})
		return GuardOf(project)
	}
	assert.DeepEqual(t, load(Guard{}), Guard{MetricsFree: 256_000_000, LogsPercent: 99})
	assert.DeepEqual(t, load(Guard{MetricsFree: 7, LogsPercent: 50, CacheMegabytes: 9}), Guard{MetricsFree: 7, LogsPercent: 50})
	assert.DeepEqual(t, GuardOf(&types.Project{}), Guard{})
}
