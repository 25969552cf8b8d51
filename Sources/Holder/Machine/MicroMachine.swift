/// The holder program's modes around micro virtual machines.
public enum MicroMachine {
    /// The exit status, where `arguments` name such a mode; nil where they do not.
    public static func run(_ arguments: [String]) -> Int32? {
        switch (arguments.first, arguments.count) {
        case ("machine", 2): MachineHost.run(arguments[1])
        case ("guest", 1): MachineGuest.run()
        case ("launch", 2): WorkerLaunchFile.run(arguments[1])
        default: nil
        }
    }
}
