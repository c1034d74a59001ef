export const Logo = ({ size = 32 }: { size?: number }) => (
  <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
    <path
      d="M5 4h22a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3H15l-7 6v-6H5a3 3 0 0 1-3-3V7a3 3 0 0 1 3-3z"
      fill="#5b5bd6"
    />
    <path d="M9 11h14M9 17h9" stroke="#fff" strokeWidth="2.5" strokeLinecap="round" />
  </svg>
)
