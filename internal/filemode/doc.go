// Package filemode says whether others can get at a file that holds a secret, or that says
// who is trusted, and when a file has changed. It has no state and starts nothing.
package filemode
