internal import Base
internal import EventLoop

/// How a response is framed and whether its connection goes on.
struct ResponseFraming {
    enum Length {
        case known(Int)
        case chunked
        case untilClose
        /// 1xx, 204, 304 and the answer to HEAD without a known length.
        case none
    }

    var length: Length
    var keepsAlive: Bool
    var isVersion10: Bool
}

enum ResponseHead {
    private static let okay = Array("HTTP/1.1 200 OK\r\n".utf8)
    /// The server's to set: a handler's own would contradict the framing.
    private static func isFraming(_ field: HTTPHeaders.Field, of headers: HTTPHeaders) -> Bool {
        switch field.nameLength {
        case 4: headers.matches(field, "date")
        case 10: headers.matches(field, "connection")
        case 14: headers.matches(field, "content-length")
        case 17: headers.matches(field, "transfer-encoding")
        default: false
        }
    }

    static func write(_ response: HTTPResponse, framing: ResponseFraming, date: HTTPDate, to stream: ByteStream) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(160 + response.headers.bytes.count + 4 * response.headers.count)
        if response.status == 200 {
            bytes.append(contentsOf: okay)
        } else {
            bytes.append(contentsOf: "HTTP/1.1 \(response.status) \(reason(response.status))\r\n".utf8)
        }
        let headers = response.headers
        for field in headers.fields where !isFraming(field, of: headers) {
            append(headers, field, to: &bytes)
        }
        switch framing.length {
        case .known(let count):
            append("content-length: ", to: &bytes)
            append(decimal: count, to: &bytes)
            append("\r\n", to: &bytes)
        case .chunked: bytes.append(contentsOf: "transfer-encoding: chunked\r\n".utf8)
        case .untilClose, .none: break
        }
        if !framing.keepsAlive {
            bytes.append(contentsOf: "connection: close\r\n".utf8)
        } else if framing.isVersion10 {
            bytes.append(contentsOf: "connection: keep-alive\r\n".utf8)
        }
        bytes.append(contentsOf: date.field)
        bytes.append(contentsOf: [0x0D, 0x0A])
        stream.write(bytes)
    }

    private static func append(_ text: StaticString, to bytes: inout [UInt8]) {
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    private static func append(decimal number: Int, to bytes: inout [UInt8]) {
        if number >= 10 { append(decimal: number / 10, to: &bytes) }
        bytes.append(UInt8(ascii: "0") + UInt8(number % 10))
    }

    static func append(_ headers: HTTPHeaders, _ field: HTTPHeaders.Field, to bytes: inout [UInt8]) {
        let name = Int(field.nameStart)..<Int(field.nameStart + field.nameLength)
        let value = Int(field.valueStart)..<Int(field.valueStart + field.valueLength)
        bytes.append(contentsOf: headers.bytes[name])
        bytes.append(contentsOf: [0x3A, 0x20])
        bytes.append(contentsOf: headers.bytes[value])
        bytes.append(contentsOf: [0x0D, 0x0A])
    }

    /// RFC 9110, section 15; clients ignore it, so an unknown status has none.
    static func reason(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 201: "Created"
        case 202: "Accepted"
        case 204: "No Content"
        case 206: "Partial Content"
        case 301: "Moved Permanently"
        case 302: "Found"
        case 303: "See Other"
        case 304: "Not Modified"
        case 307: "Temporary Redirect"
        case 308: "Permanent Redirect"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 406: "Not Acceptable"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 410: "Gone"
        case 412: "Precondition Failed"
        case 413: "Content Too Large"
        case 414: "URI Too Long"
        case 415: "Unsupported Media Type"
        case 416: "Range Not Satisfiable"
        case 417: "Expectation Failed"
        case 422: "Unprocessable Content"
        case 426: "Upgrade Required"
        case 428: "Precondition Required"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        case 507: "Insufficient Storage"
        default: ""
        }
    }
}
