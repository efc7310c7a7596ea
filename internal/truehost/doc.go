// Package truehost tells apart what a browser was asked to connect to, as the Host of its request
// has it: an address or a name that can be nobody else's, and a name that any site may have. A
// site can give its name the address of a node a moment after its page was loaded, and the page is
// then of the same site as the node (DNS rebinding).
package truehost
