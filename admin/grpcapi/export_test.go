package grpcapi

// Methods are the names in the table.
func Methods() (names []string) {
	for name := range methods {
		names = append(names, name)
	}
	return names
}

// Changes are the names in the table of what changes something.
func Changes() (names []string) {
	for name, m := range methods {
		if m.change != "" {
			names = append(names, name)
		}
	}
	return names
}

// Services are the names of the methods that the server has.
func Services(s *Server) (names []string) {
	for service, info := range s.grpc.GetServiceInfo() {
		for _, m := range info.Methods {
			names = append(names, "/"+service+"/"+m.Name)
		}
	}
	return names
}
