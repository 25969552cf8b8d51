public import Base
internal import Glibc

extension Scrollback {
    /// Keeps a piece of a scrollback that comes from elsewhere as a segment of its own, before the directory at `path` is
    /// opened. Pieces come in order and without holes.
    public static func put(_ bytes: [UInt8], at offset: Int64, path: String) throws(BerthError) {
        try Directory.make(path)
        let place = SegmentDirectory(path: path).path(of: Segment(start: offset, size: Int64(bytes.count)))
        let file = open(place, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw .file("make", place, errno) }
        defer { close(file) }
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .file("write", place, errno) }
            sent += count
        }
        guard fdatasync(file) == 0 else { throw .file("write", place, errno) }
    }
}
