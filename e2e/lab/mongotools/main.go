// Command mongotools is the lab's stand-in for two of the MongoDB Database Tools, mongoimport and mongoexport, by the name
// that it is called by. It takes the options that the demo uses, as their manual describes them, and refuses others.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.yaml.in/yaml/v3"
)

const standIn = "MongoDB Database Tools lab stand-in"

func main() {
	if err := run(context.Background(), filepath.Base(os.Args[0]), os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "%s\tFailed: %s\n", time.Now().Format("2006-01-02T15:04:05.000-0700"), err)
		os.Exit(1)
	}
}

func run(ctx context.Context, tool string, args []string, in io.Reader, out, said io.Writer) error {
	if slices.Contains(args, "--version") {
		fmt.Fprintln(out, tool+", "+standIn)
		return nil
	}
	work := map[string]func(context.Context, *mongo.Collection, parameters, io.Reader, io.Writer) (string, error){"mongoimport": load, "mongoexport": export}[tool]
	if work == nil {
		return fmt.Errorf("%q is no tool of the stand-in", tool)
	}
	p, err := parse(tool, args)
	if err != nil {
		return err
	}
	client, err := connect(p)
	if err != nil {
		return err
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(ctx)) }()
	done, err := work(ctx, client.Database(p["db"]).Collection(p["collection"]), p, in, out)
	if err == nil && p["quiet"] == "" {
		fmt.Fprintf(said, "%s\t%s\n", time.Now().Format("2006-01-02T15:04:05.000-0700"), done)
	}
	return err
}

// parameters are the options by their long names, without dashes.
type parameters map[string]string

func parse(tool string, args []string) (parameters, error) {
	takes := []string{"config", "host", "port", "username", "authenticationDatabase", "db", "collection"}
	if tool == "mongoimport" {
		takes = append(takes, "mode", "upsertFields")
	} else {
		takes = append(takes, "query", "limit")
	}
	p := parameters{"host": "localhost", "port": "27017", "mode": "insert", "upsertFields": "_id"}
	for _, arg := range args {
		name, value, joined := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		switch {
		case !strings.HasPrefix(arg, "--"):
			return nil, fmt.Errorf("error parsing positional arguments: %q", arg)
		case name == "quiet":
			p[name] = "true"
		case !slices.Contains(takes, name):
			return nil, fmt.Errorf("error parsing command line options: unknown option %q", name)
		case !joined:
			return nil, fmt.Errorf("the stand-in wants --%s=VALUE", name)
		default:
			p[name] = value
		}
	}
	if p["collection"] == "" {
		return nil, errors.New("no collection specified")
	}
	return p, p.readConfig()
}

// readConfig reads the file that keeps the password out of the arguments.
func (p parameters) readConfig() error {
	if p["config"] == "" {
		return nil
	}
	raw, err := os.ReadFile(p["config"])
	if err != nil {
		return fmt.Errorf("error opening file with --config: %w", err)
	}
	var secret struct {
		Password string `yaml:"password"`
	}
	if err := yaml.Unmarshal(raw, &secret); err != nil {
		return fmt.Errorf("error parsing config file %s: %w", p["config"], err)
	}
	p["password"] = secret.Password
	return nil
}

func connect(p parameters) (*mongo.Client, error) {
	settings := options.Client().SetHosts([]string{p["host"] + ":" + p["port"]}).SetDirect(true).SetServerSelectionTimeout(3 * time.Second)
	if p["username"] != "" {
		settings.SetAuth(options.Credential{Username: p["username"], Password: p["password"], AuthSource: p["authenticationDatabase"]})
	}
	return mongo.Connect(settings)
}

// load is mongoimport: one document after the other from standard input.
func load(ctx context.Context, into *mongo.Collection, p parameters, in io.Reader, _ io.Writer) (string, error) {
	decoder := json.NewDecoder(in)
	for count := 0; ; count++ {
		var raw json.RawMessage
		err := decoder.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return fmt.Sprintf("%d document(s) imported successfully. 0 document(s) failed to import.", count), nil
		}
		if err != nil {
			return "", err
		}
		var document bson.D
		if err := bson.UnmarshalExtJSON(raw, false, &document); err != nil {
			return "", err
		}
		if err := write(ctx, into, p, document); err != nil {
			return "", err
		}
	}
}

func write(ctx context.Context, into *mongo.Collection, p parameters, document bson.D) error {
	var same bson.D
	for _, element := range document {
		if slices.Contains(strings.Split(p["upsertFields"], ","), element.Key) {
			same = append(same, element)
		}
	}
	var err error
	switch p["mode"] {
	case "insert":
		_, err = into.InsertOne(ctx, document)
	case "upsert":
		_, err = into.ReplaceOne(ctx, same, document, options.Replace().SetUpsert(true))
	case "delete":
		_, err = into.DeleteOne(ctx, same)
	default:
		err = fmt.Errorf("invalid --mode argument: %q", p["mode"])
	}
	return err
}

// export is mongoexport: a document a line to standard output.
func export(ctx context.Context, from *mongo.Collection, p parameters, _ io.Reader, out io.Writer) (string, error) {
	query := bson.D{}
	if p["query"] != "" {
		if err := bson.UnmarshalExtJSON([]byte(p["query"]), false, &query); err != nil {
			return "", fmt.Errorf("error parsing query: %w", err)
		}
	}
	var limit int64
	if _, err := fmt.Sscan(p["limit"], &limit); err != nil && p["limit"] != "" {
		return "", fmt.Errorf("invalid --limit: %w", err)
	}
	found, err := from.Find(ctx, query, options.Find().SetLimit(limit))
	if err != nil {
		return "", err
	}
	defer found.Close(ctx)
	count := 0
	for ; found.Next(ctx); count++ {
		line, err := bson.MarshalExtJSON(found.Current, false, false)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(out, "%s\n", line)
	}
	return fmt.Sprintf("exported %d record(s)", count), found.Err()
}
