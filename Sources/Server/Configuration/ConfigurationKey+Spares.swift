import Base
import Domain
import Transport

extension ConfigurationKey {
    /// Machines that wait, and where allow-lists lead.
    static let spares: [ConfigurationKey] = [
        .init(
            "warmSpares",
            .integer(0...1000),
            ["BERTH_WARM_SPARES"],
            default: "0",
            "environments of the default kind that wait, running, for whoever asks for one"
        ),
        .init(
            "warmPool",
            .text,
            ["BERTH_WARM_POOL"],
            "further ones that wait: PROVIDER[/SIZE][@IMAGE]=COUNT, several with commas, such as docker/pro=3,microvm=1; "
                + "SIZE is one of 'berth env flavours'"
        ),
        .init(
            "egressPrivate",
            .text,
            ["BERTH_EGRESS_PRIVATE"],
            "private addresses that names on environments' allow-lists may have, such as 10.1.2.0/24; several with commas; "
                + "default: none"
        ),
    ]
}

/// `PROVIDER[/SIZE][@IMAGE]=COUNT`.
struct WarmPoolEntry: Equatable {
    var provider: ProviderKind
    /// nil: the size of environments for which none was asked.
    var flavour: Flavour?
    var image: String?
    var count: Int

    init?(_ text: String) {
        guard let equals = text.lastIndex(of: "="), let count = Int(text[text.index(after: equals)...]),
            (0...1000).contains(count)
        else { return nil }
        let what = text[..<equals].split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        let names = what[0].split(separator: "/", omittingEmptySubsequences: false)
        guard (1...2).contains(names.count), !names.contains(where: \.isEmpty), what.last?.isEmpty == false else {
            return nil
        }
        if names.count == 2 {
            guard let known = try? Flavour.named(String(names[1])) else { return nil }
            flavour = known
        }
        provider = ProviderKind(rawValue: String(names[0]))
        image = what.count == 2 ? String(what[1]) : nil
        self.count = count
    }
}

extension Configuration {
    var egressReach: EgressReach {
        get throws(BerthError) {
            var ranges: [AddressRange] = []
            for part in (text("egressPrivate") ?? "").split(separator: ",") {
                let text = String(part).trimmed
                guard let range = AddressRange(text) else {
                    throw BerthError(
                        .invalidValue,
                        "'\(text.prefix(80))' is no range of addresses",
                        field: "egressPrivate",
                        remedy: "write it like 10.1.2.0/24 or fd00::/8"
                    )
                }
                ranges.append(range)
            }
            return EgressReach(exceptions: ranges)
        }
    }

    var provider: ProviderKind { text("provider").map { ProviderKind(rawValue: $0) } ?? .local }

    var warmSpares: Int { Int(integer("warmSpares")) }

    /// How many of which wait, as `warmPool` says.
    var warmPool: [WarmPoolEntry] {
        get throws(BerthError) {
            var entries: [WarmPoolEntry] = []
            for part in (text("warmPool") ?? "").split(separator: ",") {
                guard let entry = WarmPoolEntry(String(part).trimmed) else {
                    throw BerthError(
                        .invalidValue,
                        "'\(part.prefix(80))' says of no environments how many wait",
                        field: "warmPool",
                        remedy: "write it like docker/pro@registry.example/image:1=3; SIZE is one of "
                            + Flavour.all.map(\.name).joined(separator: ", ")
                    )
                }
                entries.append(entry)
            }
            return entries
        }
    }
}
