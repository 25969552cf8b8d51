import Glibc

/// Up to `count` bytes of an open file from `offset` on; fewer only at its end.
package func readBytes(of descriptor: Int32, at offset: Int64, count: Int) throws(FileCallError) -> [UInt8] {
    var failure: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
        while filled < count {
            let part = pread(descriptor, buffer.baseAddress.map { $0 + filled }, count - filled, Int(offset) + filled)
            if part < 0, errno == EINTR { continue }
            if part < 0 { failure = errno }
            if part <= 0 { break }
            filled += part
        }
    }
    if failure != 0 { throw FileCallError(code: failure) }
    return bytes
}

/// The `errno` of a call on a file.
package struct FileCallError: Error {
    package let code: Int32
}
