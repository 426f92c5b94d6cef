// Makes one call with each of Java's own HTTP clients that is named, to https://PREFIX<client>.trust.test, and prints a line of JSON for each. The
// arguments are PREFIX and the clients. Nothing here knows of Tollgate.

import java.net.HttpURLConnection;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

public class Calls {
    static void call(String name, URI uri) throws Exception {
        switch (name) {
            case "httpclient" -> HttpClient.newHttpClient().send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString());
            case "urlconnection" -> ((HttpURLConnection) uri.toURL().openConnection()).getResponseCode();
            default -> throw new IllegalArgumentException(name);
        }
    }

    public static void main(String[] arguments) {
        for (int index = 1; index < arguments.length; index++) {
            String client = arguments[0] + arguments[index], error = "null";
            try {
                call(arguments[index], URI.create("https://" + client + ".trust.test/hello"));
            } catch (Exception thrown) {
                error = '"' + thrown.toString().replace('"', '\'').replace('\n', ' ') + '"';
            }
            System.out.printf("{\"client\": \"%s\", \"version\": \"%s\", \"error\": %s}%n", client, System.getProperty("java.version"), error);
        }
        System.exit(0);
    }
}
