// Package bundle holds the files of the base stack: compose.yaml, the image pins and each component's configuration.
package bundle

import (
	"embed"
	"io/fs"
)

//go:embed compose.yaml images.env config
var files embed.FS

// FS returns the bundle's files. Those under config are text templates with the delimiters [[ and ]];
// package stack renders them.
func FS() fs.FS { return files }
