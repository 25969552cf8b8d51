public import Base
import Database

extension Accounts {
    public func isMember(_ user: UserID, of organization: OrganizationID) async throws -> Bool {
        try await database.read { try $0.first(AccountStore.isMember, organization, user) != nil }
    }
}
