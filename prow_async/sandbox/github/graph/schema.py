"""The part of GitHub's GraphQL schema that is answered here.

Source: docs.github.com, GraphQL reference; the fields that upstream's tide, needs-rebase and blockers queries name.
"""

TEXT = """
scalar DateTime
scalar URI
scalar GitObjectID
interface Node { id: ID! }
interface Actor { login: String! url: URI! }
interface RepositoryOwner { login: String! }
enum SearchType { ISSUE ISSUE_ADVANCED REPOSITORY USER DISCUSSION }
enum IssueState { OPEN CLOSED }
enum PullRequestState { OPEN CLOSED MERGED }
enum MergeableState { MERGEABLE CONFLICTING UNKNOWN }
enum MergeStateStatus { BEHIND BLOCKED CLEAN DIRTY DRAFT HAS_HOOKS UNKNOWN UNSTABLE }
enum PullRequestReviewDecision { APPROVED CHANGES_REQUESTED REVIEW_REQUIRED }
enum PullRequestReviewState { APPROVED CHANGES_REQUESTED COMMENTED DISMISSED PENDING }
enum StatusState { ERROR EXPECTED FAILURE PENDING SUCCESS }
enum CheckStatusState { COMPLETED IN_PROGRESS PENDING QUEUED REQUESTED WAITING }
enum CheckConclusionState { ACTION_REQUIRED CANCELLED FAILURE NEUTRAL SKIPPED STALE STARTUP_FAILURE SUCCESS TIMED_OUT }

type Query {
  rateLimit(dryRun: Boolean): RateLimit
  viewer: User!
  repository(owner: String!, name: String!, followRenames: Boolean): Repository
  organization(login: String!): Organization
  user(login: String!): User
  search(query: String!, type: SearchType!, first: Int, last: Int, after: String, before: String):
    SearchResultItemConnection!
}
type RateLimit { cost: Int! limit: Int! remaining: Int! used: Int! nodeCount: Int! resetAt: DateTime! }
type PageInfo { hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String }
type User implements Node & Actor & RepositoryOwner { id: ID! login: String! name: String url: URI! }
type Bot implements Node & Actor { id: ID! login: String! url: URI! }
type Organization implements Node & Actor & RepositoryOwner { id: ID! login: String! name: String url: URI! }
type Repository implements Node {
  id: ID!
  name: String!
  nameWithOwner: String!
  owner: RepositoryOwner!
  url: URI!
  isPrivate: Boolean!
  isArchived: Boolean!
  mergeCommitAllowed: Boolean!
  squashMergeAllowed: Boolean!
  rebaseMergeAllowed: Boolean!
  defaultBranchRef: Ref
  ref(qualifiedName: String!): Ref
  pullRequest(number: Int!): PullRequest
  issue(number: Int!): Issue
  pullRequests(first: Int, last: Int, after: String, before: String, states: [PullRequestState!]):
    PullRequestConnection!
}
type Ref implements Node { id: ID! name: String! prefix: String! target: Commit }
type Milestone implements Node { id: ID! number: Int! title: String! }
type Label implements Node { id: ID! name: String! color: String! description: String }
type LabelConnection { nodes: [Label] pageInfo: PageInfo! totalCount: Int! }
type ActorConnection { nodes: [User] pageInfo: PageInfo! totalCount: Int! }
type CommentConnection { nodes: [IssueComment] pageInfo: PageInfo! totalCount: Int! }
type IssueComment implements Node { id: ID! author: Actor body: String! createdAt: DateTime! url: URI! }
type GitActor { name: String email: String date: DateTime user: User }
type Commit implements Node {
  id: ID!
  oid: GitObjectID!
  message: String!
  messageHeadline: String!
  committedDate: DateTime!
  author: GitActor
  status: Status
  statusCheckRollup: StatusCheckRollup
}
type Status { state: StatusState! contexts: [StatusContext!]! }
type StatusContext implements Node {
  id: ID!
  context: String!
  description: String
  state: StatusState!
  targetUrl: URI
  createdAt: DateTime!
}
type CheckRun implements Node {
  id: ID!
  name: String!
  title: String
  status: CheckStatusState!
  conclusion: CheckConclusionState
  detailsUrl: URI
}
union StatusCheckRollupContext = StatusContext | CheckRun
type StatusCheckRollupContextConnection { nodes: [StatusCheckRollupContext] pageInfo: PageInfo! totalCount: Int! }
type StatusCheckRollup {
  state: StatusState!
  contexts(first: Int, last: Int, after: String, before: String): StatusCheckRollupContextConnection!
}
type PullRequestCommit { commit: Commit! url: URI! }
type PullRequestCommitConnection { nodes: [PullRequestCommit] pageInfo: PageInfo! totalCount: Int! }
type PullRequestReview implements Node {
  id: ID!
  author: Actor
  body: String!
  state: PullRequestReviewState!
  submittedAt: DateTime
}
type PullRequestReviewConnection { nodes: [PullRequestReview] pageInfo: PageInfo! totalCount: Int! }
type PullRequestChangedFile { path: String! additions: Int! deletions: Int! }
type PullRequestChangedFileConnection { nodes: [PullRequestChangedFile] pageInfo: PageInfo! totalCount: Int! }
type PullRequestConnection { nodes: [PullRequest] pageInfo: PageInfo! totalCount: Int! }
type Issue implements Node {
  id: ID!
  number: Int!
  title: String!
  body: String!
  url: URI!
  state: IssueState!
  author: Actor
  repository: Repository!
  milestone: Milestone
  createdAt: DateTime!
  updatedAt: DateTime!
  closed: Boolean!
  locked: Boolean!
  labels(first: Int, last: Int, after: String, before: String): LabelConnection
  assignees(first: Int, last: Int, after: String, before: String): ActorConnection!
  comments(first: Int, last: Int, after: String, before: String): CommentConnection!
}
type PullRequest implements Node {
  id: ID!
  number: Int!
  title: String!
  body: String!
  url: URI!
  state: PullRequestState!
  author: Actor
  repository: Repository!
  milestone: Milestone
  createdAt: DateTime!
  updatedAt: DateTime!
  mergedAt: DateTime
  closed: Boolean!
  locked: Boolean!
  merged: Boolean!
  isDraft: Boolean!
  isCrossRepository: Boolean!
  additions: Int!
  deletions: Int!
  changedFiles: Int!
  baseRef: Ref
  baseRefName: String!
  baseRefOid: GitObjectID!
  headRef: Ref
  headRefName: String!
  headRefOid: GitObjectID!
  headRepository: Repository
  mergeable: MergeableState!
  mergeStateStatus: MergeStateStatus!
  canBeRebased: Boolean!
  reviewDecision: PullRequestReviewDecision
  labels(first: Int, last: Int, after: String, before: String): LabelConnection
  assignees(first: Int, last: Int, after: String, before: String): ActorConnection!
  comments(first: Int, last: Int, after: String, before: String): CommentConnection!
  commits(first: Int, last: Int, after: String, before: String): PullRequestCommitConnection!
  reviews(first: Int, last: Int, after: String, before: String): PullRequestReviewConnection
  latestReviews(first: Int, last: Int, after: String, before: String): PullRequestReviewConnection
  files(first: Int, last: Int, after: String, before: String): PullRequestChangedFileConnection
}
union SearchResultItem = Issue | PullRequest
type SearchResultItemConnection { nodes: [SearchResultItem] pageInfo: PageInfo! issueCount: Int! }
"""
