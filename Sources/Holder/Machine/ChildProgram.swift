internal import CShims
internal import Glibc

/// A child with chosen descriptors, default signals and nothing else of ours.
enum ChildProgram {
    /// `descriptors` become 3, 4, … of the child. Returns the pid or -errno.
    static func start(_ arguments: [String], environment: [String], descriptors: [Int32] = []) -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // Out of the way of the numbers they are to have, so that none is overwritten before it is copied.
        let raised = descriptors.map { fcntl($0, F_DUPFD_CLOEXEC, 64) }
        defer { for descriptor in raised { close(descriptor) } }
        for (index, descriptor) in raised.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(3 + index))
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var pid = pid_t()
        let error = withCStrings(arguments) { argv in
            withCStrings(environment) { envp in posix_spawn(&pid, arguments[0], &actions, &attributes, argv, envp) }
        }
        return error == 0 ? pid : -error
    }

    /// The text of a file of ours; empty where there is none.
    static func contents(_ path: String) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { return [] }
        defer { close(file) }
        var bytes: [UInt8] = []
        while let part = Port.read(file), !part.isEmpty { bytes += part }
        return bytes
    }

    /// Whole or not at all, readable for its owner alone unless `mode` says otherwise.
    @discardableResult
    static func replace(_ path: String, with bytes: [UInt8], mode: mode_t = 0o600) -> Bool {
        let part = path + ".part"
        let file = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode)
        guard file >= 0 else { return false }
        var rest = bytes
        let isWritten = Port.write(&rest, to: file) && rest.isEmpty
        close(file)
        return isWritten && rename(part, path) == 0
    }

    static func random(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        return berth_random(&bytes, count) == 0 ? bytes : []
    }

    static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    static func bytes(hexadecimal text: String) -> [UInt8] {
        let values = text.utf8.compactMap { byte -> UInt8? in
            switch byte {
            case 0x30...0x39: byte - 0x30
            case 0x61...0x66: byte - 0x57
            default: nil
            }
        }
        return stride(from: 0, to: values.count - 1, by: 2).map { values[$0] << 4 | values[$0 + 1] }
    }

    static func say(_ text: String) {
        var line = "berth-hold: \(text)\n"
        line.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
    }
}
