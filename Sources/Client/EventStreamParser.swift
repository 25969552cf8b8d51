/// Server-sent events from bytes in pieces of any size (WHATWG HTML, section 9.2). Lines end with LF or CR LF.
struct EventStreamParser: Sendable {
    struct Event: Sendable, Equatable {
        var name: String
        var id: String?
        var data: String
    }

    private var line: [UInt8] = []
    private var name = ""
    private var id: String?
    private var data: [UInt8] = []
    private var hasData = false

    mutating func feed(_ bytes: [UInt8]) -> [Event] {
        var events: [Event] = []
        var rest = bytes[...]
        while let newline = rest.firstIndex(of: UInt8(ascii: "\n")) {
            line += rest[..<newline]
            rest = rest[(newline + 1)...]
            if line.last == UInt8(ascii: "\r") { line.removeLast() }
            if let event = endLine() { events.append(event) }
            line.removeAll(keepingCapacity: true)
        }
        line += rest
        return events
    }

    private mutating func endLine() -> Event? {
        guard !line.isEmpty else {
            defer {
                name = ""
                id = nil
                data = []
                hasData = false
            }
            return hasData ? Event(name: name, id: id, data: String(decoding: data, as: UTF8.self)) : nil
        }
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > 0 else { return nil }
        var value = line[(colon + 1)...]
        if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
        switch String(decoding: line[..<colon], as: UTF8.self) {
        case "event": name = String(decoding: value, as: UTF8.self)
        case "id": id = String(decoding: value, as: UTF8.self)
        case "data":
            if hasData { data.append(UInt8(ascii: "\n")) }
            data += value
            hasData = true
        default: break
        }
        return nil
    }
}
