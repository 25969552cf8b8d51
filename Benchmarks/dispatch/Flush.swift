import Base
import Glibc

/// What it takes to bring a commit's worth of bytes to a disk: nobody who waits for his end hears of it sooner.
enum Flush {
    private static let bytes = [UInt8](repeating: 1, count: 64 << 10)
    private static let tries = 21

    /// Milliseconds of a write of 64 KiB over what is there, and of its `fdatasync`; the median of several, in `directory`.
    static func milliseconds(in directory: String) throws -> Double {
        mkdir(directory, 0o700)
        let path = "\(directory)/flush"
        let file = open(path, O_RDWR | O_CREAT, 0o600)
        guard file >= 0 else { throw BerthError(.invalidValue, "\(path) cannot be written", field: "OUTPUT-DIRECTORY") }
        defer {
            close(file)
            unlink(path)
        }
        var times: [Duration] = []
        for _ in 0...tries {
            let began = SystemTime().uptime
            guard pwrite(file, bytes, bytes.count, 0) == bytes.count, fdatasync(file) == 0 else {
                throw BerthError(.diskFull, "\(path) cannot be written")
            }
            times.append(SystemTime().uptime - began)
        }
        // The first made the file longer.
        let median = times.dropFirst().sorted()[tries / 2]
        return (Double(median.wholeNanoseconds) / 1e4).rounded() / 100
    }
}
