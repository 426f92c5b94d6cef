// Makes one call with Go's net/http and prints a line of JSON. Nothing here knows of Tollgate.
package main

import (
	"encoding/json"
	"net/http"
	"os"
	"runtime"
)

func main() {
	row := map[string]interface{}{"client": "go-nethttp", "version": runtime.Version(), "error": nil}
	if _, err := http.Get("https://go-nethttp.trust.test/hello"); err != nil {
		row["error"] = err.Error()
	}
	json.NewEncoder(os.Stdout).Encode(row)
}
