// Package mongodbreceiver is the lab's stand-in for the collector's mongodb receiver.
package mongodbreceiver

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configtls"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/scraper/scraperhelper"

	"github.com/docker-telemetry/docker-telemetry/e2e/lab/otelcol/receivers/scrape"
)

// Config has the options that the real receiver documents for a server of its own.
type Config struct {
	scraperhelper.ControllerConfig `mapstructure:",squash"`

	Hosts            []Host                 `mapstructure:"hosts"`
	Username         string                 `mapstructure:"username"`
	Password         configopaque.String    `mapstructure:"password"`
	AuthMechanism    string                 `mapstructure:"auth_mechanism"`
	AuthSource       string                 `mapstructure:"auth_source"`
	DirectConnection bool                   `mapstructure:"direct_connection"`
	TLS              configtls.ClientConfig `mapstructure:"tls"`
}

// Host is where one server listens.
type Host struct {
	Endpoint string `mapstructure:"endpoint"`
}

// NewFactory is what the collector's builder asks for.
func NewFactory() receiver.Factory {
	return scrape.Factory("mongodb", func() scrape.Config {
		return &Config{ControllerConfig: scrape.Defaults(time.Minute), Hosts: []Host{{"localhost:27017"}}}
	})
}

// Validate refuses what only the real receiver can.
func (c *Config) Validate() error {
	switch {
	case len(c.Hosts) == 0:
		return errors.New("hosts must be set")
	case (c.Username == "") != (c.Password == ""):
		return errors.New("username and password go together")
	case !c.TLS.Insecure:
		return errors.New("TLS is not supported by the stand-in")
	}
	return nil
}

// Interval is the controller's part of the configuration.
func (c *Config) Interval() *scraperhelper.ControllerConfig { return &c.ControllerConfig }

// Scrape runs serverStatus, and dbStats for each database.
func (c *Config) Scrape(ctx context.Context, out *scrape.Metrics) error {
	var hosts []string
	for _, host := range c.Hosts {
		hosts = append(hosts, host.Endpoint)
	}
	settings := options.Client().SetHosts(hosts).SetDirect(c.DirectConnection)
	if c.Username != "" {
		settings.SetAuth(options.Credential{
			AuthMechanism: c.AuthMechanism, AuthSource: c.AuthSource, Username: c.Username, Password: string(c.Password),
		})
	}
	client, err := mongo.Connect(settings)
	if err != nil {
		return err
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(ctx)) }()
	if err := serverStatus(ctx, client, out); err != nil {
		return err
	}
	return databases(ctx, client, out)
}

func serverStatus(ctx context.Context, client *mongo.Client, out *scrape.Metrics) error {
	var status struct {
		Connections map[string]any `bson:"connections"`
		Counters    map[string]any `bson:"opcounters"`
		Memory      map[string]any `bson:"mem"`
		Network     map[string]any `bson:"network"`
	}
	if err := client.Database("admin").RunCommand(ctx, bson.D{{Key: "serverStatus", Value: 1}}).Decode(&status); err != nil {
		return err
	}
	out.Resource()
	for _, kind := range []string{"active", "available", "current"} {
		if value, known := number(status.Connections[kind]); known {
			out.Level("mongodb.connection.count", "{connections}", value, "type", kind)
		}
	}
	for _, operation := range []string{"insert", "query", "update", "delete", "getmore", "command"} {
		if value, known := number(status.Counters[operation]); known {
			out.Count("mongodb.operation.count", "{operations}", value, "operation", operation)
		}
	}
	for _, kind := range []string{"resident", "virtual"} {
		if value, known := number(status.Memory[kind]); known {
			out.Level("mongodb.memory.usage", "By", value*1024*1024, "type", kind) // MiB there
		}
	}
	for key, name := range map[string]string{"bytesIn": "mongodb.network.io.receive", "bytesOut": "mongodb.network.io.transmit"} {
		if value, known := number(status.Network[key]); known {
			out.Level(name, "By", value)
		}
	}
	if value, known := number(status.Network["numRequests"]); known {
		out.Level("mongodb.network.request.count", "{requests}", value)
	}
	return nil
}

func databases(ctx context.Context, client *mongo.Client, out *scrape.Metrics) error {
	names, err := client.ListDatabaseNames(ctx, bson.D{})
	if err != nil {
		return err
	}
	out.Level("mongodb.database.count", "{databases}", float64(len(names)))
	for _, name := range names {
		var stats map[string]any
		if err := client.Database(name).RunCommand(ctx, bson.D{{Key: "dbStats", Value: 1}}).Decode(&stats); err != nil {
			return err
		}
		out.Resource("database", name)
		for key, figure := range map[string][2]string{
			"collections": {"mongodb.collection.count", "{collections}"}, "objects": {"mongodb.object.count", "{objects}"},
			"dataSize": {"mongodb.data.size", "By"}, "storageSize": {"mongodb.storage.size", "By"},
			"indexes": {"mongodb.index.count", "{indexes}"}, "indexSize": {"mongodb.index.size", "By"},
		} {
			if value, known := number(stats[key]); known {
				out.Level(figure[0], figure[1], value)
			}
		}
	}
	return nil
}

func number(value any) (float64, bool) {
	switch value := value.(type) {
	case int32:
		return float64(value), true
	case int64:
		return float64(value), true
	case float64:
		return value, true
	}
	return 0, false
}
