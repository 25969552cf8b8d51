internal import Base

/// Our side of a JSON-RPC 2.0 conversation in lines: numbers of our requests, and what they were.
struct JSONRPC: Sendable, Codable, Equatable {
    private var requests: Int64 = 0
    private var asked: [String: String] = [:]
    /// The Codex app server leaves the member `jsonrpc` out.
    private var hasVersion: Bool

    init(hasVersion: Bool) { self.hasVersion = hasVersion }

    /// One message of the other side.
    enum Message {
        case result(of: String, JSONValue)
        case failure(of: String, message: String)
        case request(id: JSONValue, method: String, JSONValue)
        case notification(String, JSONValue)
    }

    private func line(_ members: [String: JSONValue]) -> [UInt8] {
        var members = members
        if hasVersion { members["jsonrpc"] = "2.0" }
        return Array(JSONValue.object(members).text.utf8)
    }

    mutating func request(_ method: String, _ parameters: JSONValue) -> [UInt8] {
        requests += 1
        asked["\(requests)"] = method
        return line(["id": .integer(requests), "method": .string(method), "params": parameters])
    }

    func notification(_ method: String, _ parameters: JSONValue) -> [UInt8] {
        line(["method": .string(method), "params": parameters])
    }

    func result(_ id: JSONValue, _ value: JSONValue) -> [UInt8] { line(["id": id, "result": value]) }

    func refusal(_ id: JSONValue, _ code: Int64, _ message: String) -> [UInt8] {
        line(["id": id, "error": ["code": .integer(code), "message": .string(message)]])
    }

    /// nil for what is no message, or an answer that nobody waits for.
    mutating func read(_ value: JSONValue) -> Message? {
        if let method = value["method"]?.string {
            let parameters = value["params"] ?? [:]
            guard let id = value["id"], id != .null else { return .notification(method, parameters) }
            return .request(id: id, method: method, parameters)
        }
        guard let id = value["id"], let method = asked.removeValue(forKey: id.text) else { return nil }
        if let error = value["error"] {
            let detail = error["data"].flatMap { $0["message"]?.string ?? $0.string }
            let message = error["message"]?.string ?? "no reason given"
            return .failure(of: method, message: detail.map { "\(message): \($0)" } ?? message)
        }
        return .result(of: method, value["result"] ?? .null)
    }
}
