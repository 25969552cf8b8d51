import API
import Base

/// Requests for every route of the whole server: whatever is asked, an answer comes, it is never an internal error, and
/// it is one that the published document knows.
enum RouteFuzz {
    static let house = House.build()

    static func run(_ bytes: [UInt8]) {
        guard let house else { return Fuzz.check(false, "there is no server") }
        var source = Source(bytes)
        let route = source.pick(RouteTable.all)
        let asked = AskedRequest(route, &source, ids: house.ids, key: house.key)
        guard let answer = house.ask(asked) else { return Fuzz.check(false, "never answered: \(asked)") }
        let text = String(decoding: answer.body.prefix(2000), as: UTF8.self)
        let value = try? JSONValue(parsing: answer.body)
        // One that waited and was cancelled has nobody left who would see the status.
        let isCancelled = value?["code"]?.string == "cancelled"
        Fuzz.check(answer.status != 500 || isCancelled, "\(asked)\nis answered with \(text)")
        guard !answer.isStream, !answer.body.isEmpty else { return }
        if answer.status >= 400 {
            Fuzz.check(value?["code"]?.string?.isEmpty == false, "\(asked)\nis refused without a code: \(text)")
        } else if asked.method == route.method.rawValue,
            let schema = PublishedSchema.shared.answer(of: route, status: answer.status)
        {
            let fault = value.map { PublishedSchema.shared.fault($0, under: schema) } ?? "it is no JSON"
            Fuzz.check(fault == nil, "\(asked)\nis answered with \(text)\nbut \(fault ?? "")")
        }
    }
}
