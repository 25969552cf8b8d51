internal import Base

/// The `date` field (IMF-fixdate, RFC 9110, section 5.6.7), made once a second.
struct HTTPDate {
    private(set) var field: [UInt8] = []
    private var second: Int64 = -1

    mutating func update(_ now: Timestamp) {
        let current = now.milliseconds / 1000
        guard current != second else { return }
        second = current
        field = Array("date: \(Self.text(secondsSinceEpoch: current))\r\n".utf8)
    }

    static func text(secondsSinceEpoch seconds: Int64) -> String {
        let days = seconds / 86400
        let time = seconds % 86400
        // Days to civil date, with years that begin in March (proleptic Gregorian calendar).
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * month + 2) / 5 + 1
        let year = yearOfEra + era * 400 + (month >= 10 ? 1 : 0)
        let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let months = ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"]
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(weekdays[Int(days % 7)]), \(two(day)) \(months[Int(month)]) \(year) "
            + "\(two(time / 3600)):\(two(time / 60 % 60)):\(two(time % 60)) GMT"
    }

    // MARK: Reading

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// Seconds since 1970-01-01 UTC of any of the three forms that RFC 9110, section 5.6.7, knows; nil for another text.
    /// - Parameter now: decides the century of a year of two digits; nil refuses such a year.
    static func seconds(_ text: String, now: Int64? = nil) -> Int64? {
        let parts = text.split { $0 == " " || $0 == "-" || $0 == "," }.map(String.init)
        switch parts.count {
        case 6 where parts[5] == "GMT" && parts[3].count == 4:  // Sun, 06 Nov 1994 08:49:37 GMT
            return seconds(parts[3], parts[2], parts[1], parts[4])
        case 6 where parts[5] == "GMT" && parts[3].count == 2:  // Sunday, 06-Nov-94 08:49:37 GMT
            guard let now, let short = number(parts[3]) else { return nil }
            // At most 50 years ahead (section 5.6.7).
            let thisYear = 1970 + now / 31_556_952
            let year = thisYear / 100 * 100 + short
            return seconds("\(year > thisYear + 50 ? year - 100 : year)", parts[2], parts[1], parts[4])
        case 5:  // Sun Nov  6 08:49:37 1994
            return seconds(parts[4], parts[1], parts[2], parts[3])
        default: return nil
        }
    }

    private static func seconds(_ year: String, _ month: String, _ day: String, _ time: String) -> Int64? {
        let clock = time.split(separator: ":", omittingEmptySubsequences: false).map { number(String($0)) }
        guard let year = number(year), (1583...9999).contains(year),
            let month = months.firstIndex(of: month), let day = number(day), (1...31).contains(day),
            clock.count == 3, let hour = clock[0], let minute = clock[1], let second = clock[2],
            hour < 24, minute < 60, second <= 60
        else { return nil }
        // Civil date to days, with years that begin in March (proleptic Gregorian calendar).
        let shifted = Int64(month + 10) % 12
        let march = shifted >= 10 ? year - 1 : year
        let days = 365 * march + march / 4 - march / 100 + march / 400 + (153 * shifted + 2) / 5 + day - 1
        return (days - 719_468) * 86400 + hour * 3600 + minute * 60 + second
    }

    private static func number(_ text: String) -> Int64? {
        guard (1...4).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int64(text)
    }
}
