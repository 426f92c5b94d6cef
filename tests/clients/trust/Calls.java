// Makes one call with each of Java's own HTTP clients, and prints a line of JSON for each. Nothing here knows of Tollgate.

import java.net.HttpURLConnection;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

public class Calls {
    interface Call {
        void to(URI uri) throws Exception;
    }

    static void row(String name, Call call) {
        String client = "java-" + name, error = "null";
        try {
            call.to(URI.create("https://" + client + ".trust.test/hello"));
        } catch (Exception thrown) {
            error = '"' + thrown.toString().replace('"', '\'').replace('\n', ' ') + '"';
        }
        System.out.printf("{\"client\": \"%s\", \"version\": \"%s\", \"error\": %s}%n", client, System.getProperty("java.version"), error);
    }

    public static void main(String[] arguments) {
        row("httpclient", uri -> HttpClient.newHttpClient().send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString()));
        row("urlconnection", uri -> ((HttpURLConnection) uri.toURL().openConnection()).getResponseCode());
        System.exit(0);
    }
}
