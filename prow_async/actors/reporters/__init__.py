"""One file per reporter: what it reads, and the stages of its report. Each decides in core and never writes."""
