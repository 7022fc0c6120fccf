#!/usr/bin/env python3
"""Records the outputs of the scripts from etcd 3.4.

    record.py ETCD SCRIPT...

Each script runs on a fresh member of its own (loopback, ports 21579 and 21580) with the v2 API switched on, and is
rewritten with what it answered. See scripts.rs for the commands.
"""
import http.client, json, os, re, shutil, subprocess, sys, tempfile, threading, time, urllib.parse

CLIENT, PEER = 21579, 21580
HOST = "127.0.0.1"


def mask(text):
    text = re.sub(r'"expiration":"[^"]*"', '"expiration":T', text)
    return re.sub(r'("expiration":T),"ttl":-?\d+', r'\1,"ttl":N', text)


class Watch(threading.Thread):
    def __init__(self, path, query):
        super().__init__(daemon=True)
        self.lines, self.ended = [], False
        self.connection = http.client.HTTPConnection(HOST, CLIENT)
        self.connection.request("GET", path + "?" + urllib.parse.urlencode(query))
        self.response = self.connection.getresponse()
        self.index = self.response.getheader("X-Etcd-Index")

    def run(self):
        try:
            while line := self.response.readline():
                self.lines.append(mask(line.decode().rstrip("\n")))
            self.ended = True
        except Exception:
            pass


class Member:
    def __init__(self, etcd):
        self.dir = tempfile.mkdtemp(prefix="v2record")
        url = lambda port: f"http://{HOST}:{port}"
        self.process = subprocess.Popen(
            [etcd, "--name", "m", "--data-dir", self.dir + "/d", "--enable-v2", "--log-level", "error",
             "--listen-client-urls", url(CLIENT), "--advertise-client-urls", url(CLIENT),
             "--listen-peer-urls", url(PEER), "--initial-advertise-peer-urls", url(PEER),
             "--initial-cluster", "m=" + url(PEER)], stderr=subprocess.DEVNULL)
        self.watches = {}
        while True:
            time.sleep(0.1)
            try:
                if self.call("GET", "/v2/keys/", {})[1] == "3":
                    break
            except OSError:
                pass

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.dir)

    def call(self, method, path, params):
        connection = http.client.HTTPConnection(HOST, CLIENT)
        form = urllib.parse.urlencode(params)
        if method in ("PUT", "POST"):
            connection.request(method, path, form, {"Content-Type": "application/x-www-form-urlencoded"})
        else:
            connection.request(method, path + "?" + form)
        response = connection.getresponse()
        body = response.read().decode().rstrip("\n")
        connection.close()
        return response.status, response.getheader("X-Etcd-Index"), body

    def execute(self, directive):
        words = directive.split()
        command, args = words[0], words[1:]
        params = dict(w.split("=", 1) for w in args if "=" in w)
        args = [w for w in args if "=" not in w]
        if command == "SLEEP":
            time.sleep(float(args[0]) + 0.6)
            return ""
        if command == "STATS":
            stats = json.loads(self.call("GET", "/v2/stats/store", {})[2])
            return "\n".join(sorted(f"{k}={v}" for k, v in stats.items() if not k.startswith("gets")))
        if command == "WATCH":
            watch = Watch("/v2/keys" + urllib.parse.quote(args[1]), {"wait": "true", **params})
            self.watches[args[0]] = watch
            if watch.response.status != 200:
                return f"{watch.response.status} {watch.index} {watch.response.read().decode().rstrip()}"
            watch.start()
            return f"200 {watch.index}"
        if command == "JOIN":
            watch = self.watches.pop(args[0])
            watch.join(0.3)
            state = "ended" if watch.ended else "open"
            lines = list(watch.lines)
            if not watch.ended:
                watch.connection.sock.shutdown(2)
                watch.join(1)
                time.sleep(0.1)
            return "\n".join(lines + [state])
        if command == "GET":
            params = {"sorted": "true", **params}
        status, index, body = self.call(command, "/v2/keys" + urllib.parse.quote(args[0]), params)
        return f"{status} {index} {mask(body)}"


def record(etcd, path):
    member = Member(etcd)
    out, lines, at = [], open(path).read().split("\n"), 0
    try:
        while at < len(lines):
            line = lines[at]
            if not line.strip() or line.startswith("#"):
                out.append(line)
                at += 1
                continue
            assert lines[at + 1] == "----", (path, at, line)
            at += 2
            while at < len(lines) and lines[at].strip():
                at += 1
            out += [line, "----"]
            result = member.execute(line)
            out += result.split("\n") if result else []
    finally:
        member.stop()
    open(path, "w").write("\n".join(out))


if __name__ == "__main__":
    for script in sys.argv[2:]:
        record(sys.argv[1], script)
        print("recorded", script, flush=True)
