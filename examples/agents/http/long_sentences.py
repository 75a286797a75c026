"""An agent over HTTP: finds the sentences of a plan's executive summary that nobody will read to their end."""
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 8700
AGENT = {
    "id": "long-sentences",
    "version": "1.0.0",
    "displayName": "Long sentences",
    "description": "Finds sentences of more than 30 words in the executive summary.",
    "inputSchema": {"fields": ["executive_summary.md"]},
    "outputSchema": {"enrichmentType": "style", "fields": {"summary": "", "sentences": []}},
    "timeout": 10_000,
    "executor": {"kind": "http", "url": f"http://127.0.0.1:{PORT}/", "health": f"http://127.0.0.1:{PORT}/health"},
}


class Agent(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(AGENT if self.path == "/.well-known/afterplan-agent.json" else {"status": "ok"})

    def do_POST(self):
        context = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = context["inputs"]["executive_summary.md"]
        found = [s.strip() for s in text.replace("\n", " ").split(". ") if len(s.split()) > 30]
        self.answer({"summary": f"{len(found)} sentences are too long.", "sentences": found, "tokensUsed": 0})

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", PORT), Agent).serve_forever()
