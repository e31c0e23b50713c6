package render

import "os"

// ColourWanted is false where NO_COLOR is set to anything, https://no-color.org.
func ColourWanted() bool { return os.Getenv("NO_COLOR") == "" }
