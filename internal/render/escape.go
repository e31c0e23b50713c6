// Package render turns results into what people and programs read: tables, JSON, progress.
package render

import "github.com/docker-telemetry/docker-telemetry/internal/escape"

// Escape makes a value from a store or a container safe to print on a terminal: control characters, bidirectional
// overrides and invalid UTF-8 become visible escapes. It is applied once, where a value enters the renderer.
func Escape(value string) string { return escape.Text(value) }
