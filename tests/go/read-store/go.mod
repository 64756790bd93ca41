module read-store

go 1.21
