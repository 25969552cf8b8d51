import Domain

extension ConfigurationKey {
    /// Machines that wait.
    static let spares: [ConfigurationKey] = [
        .init(
            "warmSpares",
            .integer(0...1000),
            ["BERTH_WARM_SPARES"],
            "environments of the default kind that wait, running, for whoever asks for one; default: 0 where one starts at "
                + "once (local, host), else 1"
        )
    ]
}

extension Configuration {
    var provider: ProviderKind { text("provider").map { ProviderKind(rawValue: $0) } ?? .local }

    /// A spare costs memory for as long as it waits. A sandbox starts in tens of milliseconds, so there waiting buys
    /// nothing; a container or a virtual machine lets its user wait.
    var warmSpares: Int {
        text("warmSpares") == nil ? ([.local, .host].contains(provider) ? 0 : 1) : Int(integer("warmSpares"))
    }
}
