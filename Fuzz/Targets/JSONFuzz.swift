import Base

@testable import API

enum JSONFuzz {
    static func value(_ bytes: [UInt8]) {
        guard let value = try? JSONBody.parse(bytes) else { return }
        do {
            let again = try JSONBody.parse(try JSONBody.encode(value))
            Fuzz.check(again == value, "\(value)\nbecame \(again)")
            let text = value.text
            Fuzz.check(try JSONBody.parse(Array(text.utf8)) == value, "\(value)\nbecame \(text)")
        } catch {
            Fuzz.check(false, "\(value) was accepted, its own text is not: \(error)")
        }
    }

    static func create(_ bytes: [UInt8]) {
        guard let body = try? JSONBody.decode(CreateExecution.self, from: bytes, schema: .createExecution) else {
            return
        }
        do {
            let again = try JSONBody.decode(
                CreateExecution.self,
                from: try JSONBody.encode(body),
                schema: .createExecution
            )
            Fuzz.check(again == body, "\(body)\nbecame \(again)")
        } catch {
            Fuzz.check(false, "\(body) was accepted, its own text is not: \(error)")
        }
    }
}
