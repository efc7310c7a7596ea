package admin

func dashboardRoutes() []route { return nil }
