//! Bounded accept, one supervised task per connection.
