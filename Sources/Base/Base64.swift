/// Base64 with padding (RFC 4648, section 4), appended to bytes instead of made as a string.
public enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let padding = UInt8(ascii: "=")

    public static func append(_ bytes: [UInt8], to text: inout [UInt8]) {
        let start = text.count
        text.append(contentsOf: repeatElement(padding, count: (bytes.count + 2) / 3 * 4))
        bytes.withUnsafeBufferPointer { source in
            alphabet.withUnsafeBufferPointer { alphabet in
                text.withUnsafeMutableBufferPointer { target in
                    var from = 0
                    var to = start
                    while from + 2 < source.count {
                        let group = Int(source[from]) << 16 | Int(source[from + 1]) << 8 | Int(source[from + 2])
                        target[to] = alphabet[group >> 18]
                        target[to + 1] = alphabet[group >> 12 & 63]
                        target[to + 2] = alphabet[group >> 6 & 63]
                        target[to + 3] = alphabet[group & 63]
                        from += 3
                        to += 4
                    }
                    let rest = source.count - from
                    guard rest > 0 else { return }
                    let group = Int(source[from]) << 8 | (rest == 2 ? Int(source[from + 1]) : 0)
                    target[to] = alphabet[group >> 10]
                    target[to + 1] = alphabet[group >> 4 & 63]
                    if rest == 2 { target[to + 2] = alphabet[group << 2 & 63] }
                }
            }
        }
    }
}
