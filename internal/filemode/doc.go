// Package filemode says whether others can get at a file that holds a secret, or that says
// who is trusted. It has no state and starts nothing.
package filemode
