// Package defaults fills in what a Config leaves empty.
package defaults

// Set gives field its default unless it has a value.
func Set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
