// Package redisreceiver is the lab's stand-in for the collector's redis receiver.
package redisreceiver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configtls"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/scraper/scraperhelper"

	"github.com/docker-telemetry/docker-telemetry/e2e/lab/otelcol/receivers/scrape"
)

// Config has the options that the real receiver documents.
type Config struct {
	scraperhelper.ControllerConfig `mapstructure:",squash"`

	Endpoint  string                 `mapstructure:"endpoint"`
	Transport string                 `mapstructure:"transport"`
	Username  string                 `mapstructure:"username"`
	Password  configopaque.String    `mapstructure:"password"`
	TLS       configtls.ClientConfig `mapstructure:"tls"`
}

// NewFactory is what the collector's builder asks for.
func NewFactory() receiver.Factory {
	return scrape.Factory("redis", func() scrape.Config {
		return &Config{ControllerConfig: scrape.Defaults(10 * time.Second), Transport: "tcp", TLS: configtls.ClientConfig{Insecure: true}}
	})
}

// Validate refuses what only the real receiver can.
func (c *Config) Validate() error {
	switch {
	case c.Endpoint == "":
		return errors.New("endpoint must be set")
	case !c.TLS.Insecure:
		return errors.New("TLS is not supported by the stand-in")
	}
	return nil
}

// Interval is the controller's part of the configuration.
func (c *Config) Interval() *scraperhelper.ControllerConfig { return &c.ControllerConfig }

// Scrape sends INFO and reads the answer.
func (c *Config) Scrape(ctx context.Context, out *scrape.Metrics) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, c.Transport, c.Endpoint)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, set := ctx.Deadline(); set {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	reader := bufio.NewReader(conn)
	if c.Password != "" {
		login := []string{"AUTH", string(c.Password)}
		if c.Username != "" {
			login = []string{"AUTH", c.Username, string(c.Password)}
		}
		if _, err := command(conn, reader, login...); err != nil {
			return err
		}
	}
	info, err := command(conn, reader, "INFO", "all")
	if err != nil {
		return err
	}
	add(parse(info), out)
	return nil
}

// command speaks RESP 2: an array of bulk strings there, a simple or a bulk string back.
func command(conn io.Writer, reader *bufio.Reader, words ...string) (string, error) {
	var request strings.Builder
	fmt.Fprintf(&request, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&request, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := io.WriteString(conn, request.String()); err != nil {
		return "", err
	}
	line, err := reader.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	switch {
	case strings.HasPrefix(line, "-"):
		return "", errors.New(line[1:])
	case strings.HasPrefix(line, "+"):
		return line[1:], nil
	case !strings.HasPrefix(line, "$"):
		return "", fmt.Errorf("unexpected answer %.40q", line)
	}
	size, err := strconv.Atoi(line[1:])
	if err != nil || size < 0 || size > 1<<20 {
		return "", fmt.Errorf("unexpected answer %.40q", line)
	}
	body := make([]byte, size+2)
	if _, err := io.ReadFull(reader, body); err != nil {
		return "", err
	}
	return string(body[:size]), nil
}

func parse(info string) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(info) {
		if name, value, found := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); found {
			values[name] = value
		}
	}
	return values
}

type figure struct {
	key, name, unit string
	attributes      []string
}

func add(info map[string]string, out *scrape.Metrics) {
	out.Resource("redis.version", info["redis_version"])
	each := func(figures []figure, emit func(name, unit string, value float64, attributes ...string)) {
		for _, f := range figures {
			if value, err := strconv.ParseFloat(info[f.key], 64); err == nil {
				emit(f.name, f.unit, value, f.attributes...)
			}
		}
	}
	each([]figure{
		{key: "uptime_in_seconds", name: "redis.uptime", unit: "s"},
		{key: "total_commands_processed", name: "redis.commands.processed", unit: "{command}"},
		{key: "total_connections_received", name: "redis.connections.received", unit: "{connection}"},
		{key: "rejected_connections", name: "redis.connections.rejected", unit: "{connection}"},
		{key: "used_cpu_sys", name: "redis.cpu.time", unit: "s", attributes: []string{"state", "sys"}},
		{key: "used_cpu_user", name: "redis.cpu.time", unit: "s", attributes: []string{"state", "user"}},
		{key: "evicted_keys", name: "redis.keys.evicted", unit: "{key}"},
		{key: "expired_keys", name: "redis.keys.expired", unit: "{event}"},
		{key: "keyspace_hits", name: "redis.keyspace.hits", unit: "{hit}"},
		{key: "keyspace_misses", name: "redis.keyspace.misses", unit: "{miss}"},
		{key: "total_net_input_bytes", name: "redis.net.input", unit: "By"},
		{key: "total_net_output_bytes", name: "redis.net.output", unit: "By"},
	}, out.Count)
	each([]figure{
		{key: "connected_clients", name: "redis.clients.connected", unit: "{client}"},
		{key: "blocked_clients", name: "redis.clients.blocked", unit: "{client}"},
		{key: "connected_slaves", name: "redis.slaves.connected", unit: "{replica}"},
		{key: "rdb_changes_since_last_save", name: "redis.rdb.changes_since_last_save", unit: "{change}"},
	}, out.Level)
	each([]figure{
		{key: "instantaneous_ops_per_sec", name: "redis.commands", unit: "{ops}/s"},
		{key: "used_memory", name: "redis.memory.used", unit: "By"},
		{key: "used_memory_rss", name: "redis.memory.rss", unit: "By"},
		{key: "used_memory_peak", name: "redis.memory.peak", unit: "By"},
		{key: "mem_fragmentation_ratio", name: "redis.memory.fragmentation_ratio", unit: "1"},
	}, out.Gauge)
	for key, value := range info {
		database, found := strings.CutPrefix(key, "db")
		if _, err := strconv.Atoi(database); !found || err != nil {
			continue
		}
		// keys=3,expires=1,avg_ttl=0
		for pair := range strings.SplitSeq(value, ",") {
			name, text, _ := strings.Cut(pair, "=")
			number, err := strconv.ParseFloat(text, 64)
			if err == nil && (name == "keys" || name == "expires") {
				out.Gauge("redis.db."+name, "{key}", number, "db", database)
			}
		}
	}
}
