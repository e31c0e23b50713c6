// Package rabbitmqreceiver is the lab's stand-in for the collector's rabbitmq receiver.
package rabbitmqreceiver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/scraper/scraperhelper"

	"github.com/docker-telemetry/docker-telemetry/e2e/lab/otelcol/receivers/scrape"
)

// Config has the options that the real receiver documents, without its TLS.
type Config struct {
	scraperhelper.ControllerConfig `mapstructure:",squash"`

	Endpoint string              `mapstructure:"endpoint"`
	Username string              `mapstructure:"username"`
	Password configopaque.String `mapstructure:"password"`
}

// NewFactory is what the collector's builder asks for.
func NewFactory() receiver.Factory {
	return scrape.Factory("rabbitmq", func() scrape.Config {
		return &Config{ControllerConfig: scrape.Defaults(10 * time.Second), Endpoint: "http://localhost:15672"}
	})
}

// Validate asks for what the real receiver requires.
func (c *Config) Validate() error {
	if c.Username == "" || c.Password == "" {
		return errors.New("username and password must be set")
	}
	return nil
}

// Interval is the controller's part of the configuration.
func (c *Config) Interval() *scraperhelper.ControllerConfig { return &c.ControllerConfig }

type queue struct {
	Name, Node, VHost string
	Consumers         float64
	Ready             float64 `json:"messages_ready"`
	Unacknowledged    float64 `json:"messages_unacknowledged"`
	Stats             struct {
		Publish float64 `json:"publish"`
		Deliver float64 `json:"deliver"`
		Ack     float64 `json:"ack"`
		Dropped float64 `json:"drop_unroutable"`
	} `json:"message_stats"`
}

// Scrape asks the management API for its queues.
func (c *Config) Scrape(ctx context.Context, out *scrape.Metrics) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.Endpoint, "/")+"/api/queues", http.NoBody)
	if err != nil {
		return err
	}
	request.SetBasicAuth(c.Username, string(c.Password))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the management API answers %s", response.Status)
	}
	var queues []queue
	if err := json.NewDecoder(io.LimitReader(response.Body, 16<<20)).Decode(&queues); err != nil {
		return err
	}
	for _, q := range queues {
		out.Resource("rabbitmq.queue.name", q.Name, "rabbitmq.node.name", q.Node, "rabbitmq.vhost.name", q.VHost)
		out.Level("rabbitmq.consumer.count", "{consumers}", q.Consumers)
		out.Level("rabbitmq.message.current", "{messages}", q.Ready, "state", "ready")
		out.Level("rabbitmq.message.current", "{messages}", q.Unacknowledged, "state", "unacknowledged")
		out.Count("rabbitmq.message.published", "{messages}", q.Stats.Publish)
		out.Count("rabbitmq.message.delivered", "{messages}", q.Stats.Deliver)
		out.Count("rabbitmq.message.acknowledged", "{messages}", q.Stats.Ack)
		out.Count("rabbitmq.message.dropped", "{messages}", q.Stats.Dropped)
	}
	return nil
}
