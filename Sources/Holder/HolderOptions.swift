/// `berth-hold`'s command line.
package struct HolderOptions: Equatable {
    package static let usage = """
        usage: berth-hold --socket PATH [--gate PATH] [--hide PATH]... [--grace MS] [--ready FD] [--worker PROGRAM ARGUMENT...]

          --socket PATH     unix socket for the worker, made with mode 0600
          --gate PATH       wait for a byte from this named pipe before anything else
          --hide PATH       cover PATH for every child; needs CAP_SYS_ADMIN in its user namespace
          --grace MS        between SIGTERM and SIGKILL for the children when told to end, 0...600000 (default 5000)
          --ready FD        write a newline to this descriptor and close it once the socket listens
          --worker PROGRAM  absolute path of the worker, started and restarted with all the arguments that follow;
                            BERTH_HOLD_SOCKET tells it the socket
        """

    package var socketPath = ""
    package var gatePath: String?
    package var hiddenPaths: [String] = []
    package var graceMs: Int32 = 5000
    package var readyDescriptor: Int32?
    package var worker: [String] = []

    package struct UsageError: Error, Equatable {
        package var message: String
    }

    /// `arguments` without the program's own name.
    package init(_ arguments: [String]) throws(UsageError) {
        var rest = arguments[...]
        func value(of option: String) throws(UsageError) -> String {
            guard let value = rest.popFirst(), !value.isEmpty else {
                throw UsageError(message: "\(option) needs a value")
            }
            return value
        }
        while let argument = rest.popFirst() {
            switch argument {
            case "--socket": socketPath = try value(of: argument)
            case "--gate": gatePath = try value(of: argument)
            case "--hide":
                let path = try value(of: argument)
                guard path.utf8.first == UInt8(ascii: "/") else {
                    throw UsageError(message: "--hide: '\(path)' is not an absolute path")
                }
                hiddenPaths.append(path)
            case "--grace":
                let text = try value(of: argument)
                guard let number = Int32(text), (0...600_000).contains(number) else {
                    throw UsageError(message: "--grace: '\(text)' is not between 0 and 600000 milliseconds")
                }
                graceMs = number
            case "--ready":
                let text = try value(of: argument)
                guard let number = Int32(text), (3...1_000_000).contains(number) else {
                    throw UsageError(message: "--ready: '\(text)' is not a descriptor from 3 on")
                }
                readyDescriptor = number
            case "--worker":
                worker = Array(rest)
                rest = []
                guard worker.first?.utf8.first == UInt8(ascii: "/") else {
                    throw UsageError(message: "--worker needs the absolute path of a program")
                }
            default: throw UsageError(message: "there is no option '\(argument)'")
            }
        }
        if socketPath.isEmpty { throw UsageError(message: "--socket is missing") }
    }
}
