import Base
import Glibc
import OutputStore

/// A directory of the test's own, removed with its last reference.
final class ScratchDirectory: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/berth-output-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) } ?? ""
        }
        precondition(!path.isEmpty)
    }

    deinit { Self.remove(path) }

    private static func remove(_ path: String) {
        if let directory = opendir(path) {
            while let entry = readdir(directory) {
                let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                if name != "." && name != ".." && unlink("\(path)/\(name)") != 0 { remove("\(path)/\(name)") }
            }
            closedir(directory)
        }
        rmdir(path)
    }
}

func makeKey(_ stream: OutputStream = .stdout) -> OutputKey {
    let ids = IDSource(time: SystemTime(), randomness: SystemRandomness())
    return OutputKey(executionID: ids.make(), attempt: 1, stream: stream)
}

/// Bytes whose value depends on their offset, so that a loss or a repetition shows.
func pattern(_ range: Range<Int>) -> [UInt8] {
    range.map { UInt8(truncatingIfNeeded: $0 &* 31 &+ ($0 >> 8) &* 7 &+ ($0 >> 16)) }
}

struct Pipe {
    var read: Int32
    var write: Int32

    init() {
        var ends: [Int32] = [-1, -1]
        precondition(pipe(&ends) == 0)
        (read, write) = (ends[0], ends[1])
    }

    func fill(_ bytes: [UInt8]) { precondition(Glibc.write(write, bytes, bytes.count) == bytes.count) }
}
