package provider

// Metadata is what `compose metadata` answers: Compose passes on the options that it names and leaves out any other, and
// editors complete them.
type Metadata struct {
	Description string   `json:"description"`
	Up          Command  `json:"up"`
	Down        Command  `json:"down"`
	Stop        *Command `json:"stop,omitempty"`
}

// Command is what one command of a provider takes.
type Command struct {
	Parameters []Parameter `json:"parameters"`
}

// Parameter is one option of a provider.
type Parameter struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Required    bool   `json:"required"`
	Type        string `json:"type"` // string, integer or boolean
	Default     string `json:"default,omitempty"`
}
