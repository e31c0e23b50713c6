// Command docsgen writes what is made from the command tree and the profiles: docs/reference and the README's table of
// profiles for people on the web, and for a release the man pages and the completion scripts.
//
//	go run ./tools/docsgen                                      docs/reference and the table
//	go run ./tools/docsgen -man DIR -completions DIR            both, and docs/reference and the table as well
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"

	clidocstool "github.com/docker/cli-docs-tool"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/docker-telemetry/docker-telemetry/plugin"
)

func main() {
	reference := flag.String("reference", "docs/reference", "folder of the reference pages")
	readme := flag.String("readme", "README.md", "file with the table of profiles")
	man := flag.String("man", "", "folder to write man pages to, none without")
	completions := flag.String("completions", "", "folder to write completion scripts to, none without")
	flag.Parse()
	// The library tells every file it writes.
	log.SetOutput(io.Discard)
	if err := run(context.Background(), *reference, *readme, *man, *completions); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, reference, readme, man, completions string) error {
	if err := writeReference(reference, reference); err != nil {
		return fmt.Errorf("reference pages: %w", err)
	}
	if err := writeReadme(ctx, readme); err != nil {
		return fmt.Errorf("table of profiles: %w", err)
	}
	if man != "" {
		if err := writeMan(reference, man); err != nil {
			return fmt.Errorf("man pages: %w", err)
		}
	}
	if completions != "" {
		if err := writeCompletions(completions); err != nil {
			return fmt.Errorf("completion scripts: %w", err)
		}
	}
	return nil
}

// tree is the command tree below `docker`, as people type it.
func tree() *cobra.Command {
	docker := &cobra.Command{Use: "docker"}
	root := plugin.Root()
	// cobra adds its own help command while it writes; a hidden one keeps that out of the pages.
	root.SetHelpCommand(&cobra.Command{Use: "help", Hidden: true})
	docker.AddCommand(root)
	return docker
}

// writeReference writes a page for each command to target. The prose of a page around the generated block is taken
// from source, where it is written by hand; both may be the same folder.
func writeReference(source, target string) error {
	docker := tree()
	each(docker, describe)
	tool, err := clidocstool.New(clidocstool.Options{Root: docker, SourceDir: source, TargetDir: target, Plugin: true})
	if err != nil {
		return err
	}
	return tool.GenMarkdownTree(docker)
}

// describe puts the usage line and the examples into the description: the library's block has neither.
func describe(cmd *cobra.Command) {
	cmd.DisableFlagsInUseLine = true
	text := cmd.Long
	if text == "" {
		text = cmd.Short
	}
	usage := cmd.UseLine()
	if cmd.HasSubCommands() {
		usage += " COMMAND"
	}
	text += "\n\n```console\n$ " + usage + "\n```"
	if cmd.Example != "" {
		text += "\n\n### Examples\n\n```console\n" + unindent(cmd.Example) + "\n```"
	}
	cmd.Long = text
}

func unindent(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(strings.TrimPrefix(line, "  "), " ")
	}
	return strings.Join(lines, "\n")
}

func each(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, sub := range cmd.Commands() {
		each(sub, do)
	}
}

// writeMan writes docker-telemetry.1, docker-telemetry-up.1 and so on. SOURCE_DATE_EPOCH sets their date.
func writeMan(reference, target string) error {
	docker := tree()
	tool, err := clidocstool.New(clidocstool.Options{
		Root:      docker,
		SourceDir: reference,
		TargetDir: target,
		Plugin:    true,
		ManHeader: &doc.GenManHeader{Title: "DOCKER", Section: "1", Source: "docker-telemetry", Manual: "docker telemetry"},
	})
	if err != nil {
		return err
	}
	return tool.GenManTree(docker)
}

// writeCompletions writes scripts for the program run by itself. Behind `docker telemetry` none is needed: the Docker
// CLI's own completion asks the plugin.
func writeCompletions(target string) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	root := plugin.Root()
	root.Use = "docker-telemetry"
	for name, write := range map[string]func(io.Writer) error{
		"docker-telemetry.bash": func(w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"_docker-telemetry":     root.GenZshCompletion,
		"docker-telemetry.fish": func(w io.Writer) error { return root.GenFishCompletion(w, true) },
		"docker-telemetry.ps1":  root.GenPowerShellCompletionWithDesc,
	} {
		if err := writeFile(filepath.Join(target, name), write); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(path string, write func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := write(file); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return file.Close()
}
