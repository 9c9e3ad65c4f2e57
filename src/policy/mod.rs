mod default;

pub use default::DefaultPolicy;
