# ClickHouse's HTTP interface, as far as the tests of exports use it, in front
# of ClickHouse's own engine in this process (chdb). It prints its port.
# Arguments: the directory of the data, a user, and the password.
import os
import re
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

from chdb import session

data, user, password = sys.argv[1:4]
engine = session.Session(data)
engine.query("SELECT 1")
# Parameters of the interface that are not settings of the engine.
NOT_SETTINGS = {"query", "database", "wait_end_of_query", "user", "password"}


def run(query, database, settings, body):
    """Runs one query. What follows INSERT is in the body, here as there."""
    if database:
        engine.query("USE `%s`" % database)
    given = " SETTINGS " + ", ".join("%s = '%s'" % s for s in settings.items()) if settings else ""
    insert = re.fullmatch(r"(INSERT INTO .*) FORMAT (\w+)", query, re.DOTALL)
    if not insert:
        return str(engine.query(query + given, "TabSeparated"))
    with tempfile.NamedTemporaryFile(suffix="." + insert[2].lower()) as f:
        f.write(body)
        f.flush()
        return str(engine.query("%s FROM INFILE '%s'%s FORMAT %s" % (insert[1], f.name, given, insert[2])))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parameters = {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
        if (self.headers.get("X-ClickHouse-User"), self.headers.get("X-ClickHouse-Key")) != (user, password):
            return self.answer(403, "Code: 516. DB::Exception: %s: Authentication failed." % self.headers.get("X-ClickHouse-User"), 516)
        settings = {k: v for k, v in parameters.items() if k not in NOT_SETTINGS}
        query = parameters.get("query") or body.decode()
        try:
            self.answer(200, run(query, parameters.get("database"), settings, body))
        except Exception as e:
            code = re.search(r"Code: (\d+)", str(e))
            number = int(code[1]) if code else 1000
            self.answer(404 if number in (60, 81) else 400 if number in (6, 16, 27, 33, 36, 53, 62, 115, 117) else 500, str(e), number)

    def answer(self, status, text, exception=None):
        out = text.encode()
        self.send_response(status)
        if exception:
            self.send_header("X-ClickHouse-Exception-Code", str(exception))
        self.send_header("Content-Length", str(len(out)))
        self.end_headers()
        self.wfile.write(out)


server = HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
# The tests end by closing the pipe, however they end.
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
server.serve_forever()
