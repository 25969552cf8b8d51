#!/usr/bin/env python3
"""A scripted model endpoint (Anthropic Messages API, and OpenAI Responses API as far as Codex uses it) on loopback.

usage: model_endpoint.py SCRIPT REQUESTS [PORT]

Prints its port on the first line of standard output and ends when standard input closes.

SCRIPT is a JSON array of steps, taken in order by the requests that offer tools (an agent's turns); the last one
repeats. It is read again for every request, so a test may rewrite it. A step is an object of
  text       string: a text block
  tools      [[name, input], ...]: tool_use blocks
  usage      {"input_tokens": n, "output_tokens": n, ...}
  delayMs    wait before the answer
  status     an HTTP error instead: 401, 429, 500, 529, ...; with `error` (type) and `message`, `headers`
  hang       true: never answer
  cut        0...1: close the connection after that share of the body
Other requests (side questions without tools, token counts) get a fixed answer.
REQUESTS gets one JSON line per request: {"path", "headers", "body", "step"} where step is null for a side question.
"""
import http.server
import json
import os
import sys
import threading
import time

script_path, requests_path = sys.argv[1], sys.argv[2]
lock = threading.Lock()
taken = 0


def next_step():
    global taken
    with lock, open(script_path) as file:
        steps = json.load(file)
        index = min(taken, len(steps) - 1)
        taken += 1
        return index, steps[index]


def blocks_of(step, index):
    blocks = []
    if "text" in step:
        blocks.append({"type": "text", "text": step["text"]})
    for number, (name, tool_input) in enumerate(step.get("tools", [])):
        blocks.append({"type": "tool_use", "id": f"toolu_{index:04}_{number:02}", "name": name, "input": tool_input})
    return blocks


def sse(events):
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()


def stream(model, blocks, usage, stop_reason):
    message = {
        "id": "msg_%d" % time.time_ns(), "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": {**usage, "output_tokens": 1},
    }
    events = [{"type": "message_start", "message": message}]
    for index, block in enumerate(blocks):
        if block["type"] == "text":
            start = {"type": "text", "text": ""}
            delta = {"type": "text_delta", "text": block["text"]}
        else:
            start = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    events.append({
        "type": "message_delta", "delta": {"stop_reason": stop_reason, "stop_sequence": None},
        "usage": {"output_tokens": usage.get("output_tokens", 5)},
    })
    events.append({"type": "message_stop"})
    return sse(events)


def response_stream(blocks, usage):
    """The events of OpenAI's Responses API for the same blocks."""
    items = []
    for index, block in enumerate(blocks):
        if block["type"] == "text":
            content = [{"type": "output_text", "text": block["text"], "annotations": []}]
            items.append({"type": "message", "id": f"msg_{time.time_ns()}_{index}", "role": "assistant",
                          "status": "completed", "content": content})
        else:
            items.append({"type": "function_call", "id": f"fc_{block['id']}", "call_id": f"call_{time.time_ns()}_{index}",
                          "name": block["name"], "arguments": json.dumps(block["input"]), "status": "completed"})
    events = [{"type": "response.created", "response": {"id": "resp_1"}}]
    for index, item in enumerate(items):
        events.append({"type": "response.output_item.added", "output_index": index,
                       "item": {**item, "status": "in_progress"}})
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    counts = {"input_tokens": usage["input_tokens"], "input_tokens_details": None,
              "output_tokens": usage["output_tokens"], "output_tokens_details": None,
              "total_tokens": usage["input_tokens"] + usage["output_tokens"]}
    events.append({"type": "response.completed", "response": {"id": "resp_1", "output": items, "usage": counts}})
    return sse(events)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, content_type="application/json", headers=(), cut=None):
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if cut is not None:
            self.wfile.write(body[: int(len(body) * cut)])
            self.wfile.flush()
            self.close_connection = True
            return
        self.wfile.write(body)

    def do_GET(self):
        self.answer(404, b"{}")

    do_HEAD = do_GET

    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            request = json.loads(raw)
        except ValueError:
            request = {}
        path = self.path.partition("?")[0]
        is_response = path.endswith("/v1/responses")
        is_turn = is_response or path.endswith("/v1/messages") and bool(request.get("tools"))
        index, step = next_step() if is_turn else (None, {"text": "ok"})
        with lock, open(requests_path, "a") as file:
            record = {"path": self.path, "headers": dict(self.headers), "body": request, "step": index}
            file.write(json.dumps(record) + "\n")
        if path.endswith("/count_tokens"):
            return self.answer(200, b'{"input_tokens":10}')
        if not is_response and not path.endswith("/v1/messages"):
            return self.answer(404, b'{"type":"error","error":{"type":"not_found_error","message":"no such path"}}')
        time.sleep(step.get("delayMs", 0) / 1000)
        while step.get("hang"):
            time.sleep(3600)
        if "status" in step:
            error = {"type": step.get("error", "api_error"), "message": step.get("message", "scripted failure")}
            body = json.dumps({"type": "error", "error": error}).encode()
            return self.answer(step["status"], body, headers=step.get("headers", {}).items())
        model = request.get("model", "scripted")
        usage = {"input_tokens": 10, "output_tokens": 5, **step.get("usage", {})}
        blocks = blocks_of(step, index or 0)
        if is_response:
            return self.answer(200, response_stream(blocks, usage), "text/event-stream", cut=step.get("cut"))
        stop_reason = "tool_use" if step.get("tools") else "end_turn"
        if request.get("stream"):
            body = stream(model, blocks, usage, stop_reason)
            return self.answer(200, body, "text/event-stream", cut=step.get("cut"))
        message = {
            "id": "msg_%d" % time.time_ns(), "type": "message", "role": "assistant", "model": model,
            "content": blocks, "stop_reason": stop_reason, "stop_sequence": None, "usage": usage,
        }
        return self.answer(200, json.dumps(message).encode(), cut=step.get("cut"))


port = int(sys.argv[3]) if len(sys.argv) > 3 else 0
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
os._exit(0)
