/// How compressed bytes are wrapped.
enum CompressionFormat {
    /// Nothing around the blocks (RFC 1951), as permessage-deflate wants it.
    case raw
    /// RFC 1952.
    case gzip

    /// zlib's `windowBits`.
    func code(windowBits: Int) -> CInt {
        switch self {
        case .raw: CInt(-windowBits)
        case .gzip: CInt(windowBits + 16)
        }
    }

    /// Bytes of output taken at a time, on the stack.
    static let bufferSize = 16 * 1024
}
