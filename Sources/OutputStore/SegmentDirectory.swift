internal import Base
internal import Glibc

/// One file of a stream: bytes `start..<end`.
struct Segment: Equatable {
    var start: Int64
    var size: Int64

    var end: Int64 { start + size }

    static let digits = 20

    /// The start offset in 20 digits, so that names sort by offset.
    var name: String {
        let text = String(start)
        return String(repeating: "0", count: Self.digits - text.utf8.count) + text
    }

    static func start(ofName name: String) -> Int64? {
        name.utf8.count == digits && name.utf8.allSatisfy { (48...57).contains($0) } ? Int64(name) : nil
    }
}

/// The segment files of one stream. The files' names and sizes are the only record of what is stored.
struct SegmentDirectory {
    let path: String

    func path(of segment: Segment) -> String { "\(path)/\(segment.name)" }

    /// In order of their offsets.
    func segments() throws(BerthError) -> [Segment] {
        var found: [Segment] = []
        for name in try Directory.names(path) {
            guard let start = Segment.start(ofName: name) else { continue }
            var status = stat()
            if stat("\(path)/\(name)", &status) == 0 {
                found.append(Segment(start: start, size: Int64(status.st_size)))
            }
        }
        return found
    }

    func unlink(_ segment: Segment) { Glibc.unlink(path(of: segment)) }

    /// Up to `count` bytes from `offset` on, out of `segments`; none past a hole. Throws `output_damaged` with the path of a
    /// segment that is gone, or shorter than it was.
    func read(_ segments: [Segment], from offset: Int64, count: Int) throws(BerthError) -> [UInt8] {
        var result: [UInt8] = []
        for segment in segments where segment.end > offset && segment.start < offset + Int64(count) {
            let from = offset + Int64(result.count)
            if segment.start > from { break }
            let wanted = min(Int64(count - result.count), segment.end - from)
            let bytes = try read(segment, at: from - segment.start, count: Int(wanted))
            if result.isEmpty { result = bytes } else { result += bytes }
            if result.count == count { break }
        }
        return result
    }

    private func read(_ segment: Segment, at offset: Int64, count: Int) throws(BerthError) -> [UInt8] {
        let path = path(of: segment)
        let bytes: [UInt8]
        do throws(BerthError) {
            bytes = try OpenFile(path: path, flags: O_RDONLY).read(at: offset, count: count)
        } catch {
            guard error.code == .notFound else { throw error }
            throw .damaged("the segment \(path) is gone")
        }
        guard bytes.count == count else {
            throw .damaged("the segment \(path) had \(segment.size) bytes and ends at \(offset + Int64(bytes.count))")
        }
        return bytes
    }
}

extension BerthError {
    static func damaged(_ what: String) -> BerthError {
        BerthError(.outputDamaged, what, remedy: "restore it from a backup; every other stream can be read")
    }
}
