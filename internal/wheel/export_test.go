package wheel

import "unsafe"

// NodeSize is the number of bytes that one timer takes.
const NodeSize = unsafe.Sizeof(node{})
